// Shows new messages by themselves: looks again every few seconds, as long as one follows and looks at the page.
"use strict";

const SECONDS = 5;
const tail = document.querySelector("[data-tail]");
const follow = tail.querySelector("input");

tail.hidden = false;
follow.checked = sessionStorage.getItem("follow") === "yes";
follow.addEventListener("change", () => sessionStorage.setItem("follow", follow.checked ? "yes" : "no"));

async function look() {
  if (!follow.checked || document.hidden) return;
  const list = document.querySelector("[data-live]");
  let text;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok) return;
    text = await response.text();
  } catch {
    return;
  }
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("[data-live]");
  // Whoever has reached a message with the keyboard stays there.
  if (fresh && !list.contains(document.activeElement) && fresh.innerHTML !== list.innerHTML) list.replaceWith(fresh);
}

setInterval(look, SECONDS * 1000);
