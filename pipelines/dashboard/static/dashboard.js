// Fetches the panels of a page and draws their charts from the tables in them: what a chart shows, its table says.
"use strict";

const quiet = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

async function load(panel) {
  const body = panel.querySelector(".body");
  let response, text;
  try {
    response = await fetch(panel.dataset.panel, { headers: { Accept: "text/html" } });
    text = await response.text();
  } catch {
    body.replaceChildren(document.createTextNode("The dashboard does not answer. Trying again …"));
    shown.delete(body);
  }
  // Whoever has reached something in it with the keyboard stays there, and what says the same stays.
  if (text !== undefined && text !== shown.get(body) && !body.contains(document.activeElement)) put(body, text);
  if (!response || response.status === 503) {
    setTimeout(() => load(panel), 3000);
    return;
  }
  panel.removeAttribute("aria-busy");
  if (panel.dataset.refresh) setTimeout(() => again(panel), panel.dataset.refresh * 1000);
}

// Asks again while somebody looks: each time costs what the question reads.
function again(panel) {
  if (!document.hidden) load(panel);
  else document.addEventListener("visibilitychange", () => again(panel), { once: true });
}

const shown = new WeakMap();

function put(body, text) {
  const isFirst = !shown.has(body);
  const opened = [...body.querySelectorAll("details")].map((each) => each.open);
  body.querySelectorAll("canvas").forEach((canvas) => Chart.getChart(canvas)?.destroy());
  // Rendered and escaped by this server.
  body.innerHTML = text;
  shown.set(body, text);
  body.querySelectorAll("details").forEach((each, nth) => { each.open = opened[nth] ?? false; });
  body.querySelectorAll("[data-chart]").forEach((figure) => draw(figure, isFirst));
  body.querySelectorAll("table").forEach(offer);
}

// Returns the numbers of a table: its rows' labels, and a series for each column that is not left out.
function read(table) {
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...table.tBodies[0].rows];
  const series = heads.flatMap((head, column) =>
    column && !("skip" in head.dataset)
      ? [{
          label: head.textContent,
          color: head.dataset.tone ? `tone-${head.dataset.tone}` : `source-${head.dataset.color}`,
          values: rows.map((row) => Number(row.cells[column].dataset.value)),
          links: rows.map((row) => leads(row.cells[column])),
        }]
      : [],
  );
  return { labels: rows.map((row) => row.cells[0].textContent), series };
}

// Returns where the number of a cell leads: to what it counts.
function leads(cell) {
  return cell.querySelector("a")?.href;
}

// Returns one series of the cells that have a value, each with a tone of its own.
function readOne(table, labels) {
  const cells = [...table.querySelectorAll("[data-value]")];
  return { labels, values: cells.map((cell) => Number(cell.dataset.value)), links: cells.map(leads), tones: cells.map((cell) => `tone-${cell.dataset.tone}`) };
}

const kinds = {
  activity: (table) => stacked(read(table), "x"),
  diff: (table) => stacked(read(table), "x"),
  funnel: (table) => single(readOne(table, [...table.tHead.rows[0].cells].slice(1, -1).map((cell) => cell.textContent)), "y"),
  responses: (table) => single(readOne(table, [...table.tBodies[0].rows].map((row) => row.cells[0].textContent)), "x"),
};

function stacked({ labels, series }, indexAxis) {
  const datasets = series.map((each) => ({
    label: each.label,
    data: each.values,
    links: each.links,
    backgroundColor: color(each.color),
    borderColor: color("surface"),
    borderWidth: { top: 1 },
    borderRadius: 2,
    maxBarThickness: 48,
    stack: "all",
  }));
  return config(labels, datasets, indexAxis, datasets.length > 1);
}

function single({ labels, values, links, tones }, indexAxis) {
  const datasets = [{ data: values, links, backgroundColor: tones.map(color), borderRadius: 3, maxBarThickness: 36 }];
  return config(labels, datasets, indexAxis, false);
}

function config(labels, datasets, indexAxis, hasLegend) {
  const count = new Intl.NumberFormat("en", { notation: "compact" });
  const text = { color: color("quiet") };
  const values = {
    stacked: true,
    beginAtZero: true,
    grid: { color: color("line") },
    border: { display: false },
    ticks: { ...text, precision: 0, maxTicksLimit: 6, callback: (value) => count.format(value) },
  };
  // Times can be told by their neighbours; other labels are all shown, askew where there is no room.
  const skips = labels.length > 8 || /^\d{4}-/.test(labels[0]);
  const categories = {
    stacked: true,
    grid: { display: false },
    border: { color: color("line") },
    ticks: { ...text, autoSkip: skips, maxRotation: skips ? 0 : 50, autoSkipPadding: 6, callback(value) { return short(this.getLabelForValue(value)); } },
  };
  return {
    type: "bar",
    data: { labels, datasets },
    options: {
      indexAxis,
      responsive: true,
      maintainAspectRatio: false,
      animation: quiet.matches ? false : { duration: 250 },
      interaction: { mode: "index", axis: indexAxis, intersect: false },
      onClick: (event, _, chart) => follow(chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false)[0], chart),
      onHover: (event, _, chart) => {
        const [under] = chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false);
        chart.canvas.classList.toggle("leads", Boolean(linkOf(under, chart)));
      },
      scales: indexAxis === "x" ? { x: categories, y: values } : { x: values, y: categories },
      plugins: {
        legend: {
          display: hasLegend,
          position: "bottom",
          labels: { ...text, boxWidth: 10, boxHeight: 10, useBorderRadius: true, borderRadius: 2, padding: 14 },
        },
        tooltip: {
          backgroundColor: color("ink"),
          titleColor: color("surface"),
          bodyColor: color("surface"),
          padding: 10,
          boxPadding: 4,
          filter: (item) => item.raw > 0 || datasets.length === 1,
          itemSort: (a, b) => b.datasetIndex - a.datasetIndex,
        },
      },
    },
  };
}

// 2026-11-22 becomes 22 Nov, 2026-11-22 18:00 becomes 18:00; other labels stay.
function short(label) {
  const [, year, month, day, hour] = /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d:00))?/.exec(label) || [];
  if (!year) return label;
  if (hour && hour !== "00:00") return hour;
  return new Date(Date.UTC(year, month - 1, day)).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
}

function draw(figure, isFirst = true) {
  const canvas = figure.querySelector("canvas");
  Chart.getChart(canvas)?.destroy();
  const frame = canvas.parentElement.classList.contains("frame") ? canvas.parentElement : document.createElement("div");
  if (!frame.isConnected) {
    // Chart.js takes the size of what is around the canvas.
    frame.className = "frame";
    canvas.replaceWith(frame);
    frame.append(canvas);
    canvas.addEventListener("keydown", (event) => step(event, canvas));
    canvas.addEventListener("blur", () => show(Chart.getChart(canvas), -1));
  }
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  const settings = kinds[figure.dataset.chart](figure.querySelector("table"));
  // What is drawn again does not grow again.
  if (!isFirst) settings.options.animation = false;
  const chart = new Chart(canvas, settings);
  chart.at = -1;
}

function linkOf(bar, chart) {
  return bar && chart.data.datasets[bar.datasetIndex].links?.[bar.index];
}

function follow(bar, chart) {
  const link = linkOf(bar, chart);
  if (link) location.assign(link);
}

// Arrow keys go through the bars, as a pointer would; Enter follows the largest part of the one that is shown.
function step(event, canvas) {
  const chart = Chart.getChart(canvas);
  const last = chart.data.labels.length - 1;
  if (event.key === "Enter" && chart.at >= 0) {
    const parts = chart.data.datasets.map((each, datasetIndex) => ({ datasetIndex, index: chart.at, value: each.data[chart.at] }));
    follow(parts.sort((a, b) => b.value - a.value)[0], chart);
    return;
  }
  const to = {
    ArrowRight: Math.min(chart.at + 1, last), ArrowDown: Math.min(chart.at + 1, last),
    ArrowLeft: Math.max(chart.at - 1, 0), ArrowUp: Math.max(chart.at - 1, 0),
    Home: 0, End: last, Escape: -1,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  show(chart, to);
}

function show(chart, at) {
  chart.at = at;
  const active = at < 0 ? [] : chart.data.datasets.map((_, datasetIndex) => ({ datasetIndex, index: at }));
  chart.setActiveElements(active);
  chart.tooltip.setActiveElements(active, { x: 0, y: 0 });
  chart.update();
}

// Returns a text for a file, without the spaces in its numbers; what a spreadsheet would take for a formula, written by a
// stranger, as text: https://owasp.org/www-community/attacks/CSV_Injection
function written(text) {
  return text.trim().replace(/(?<=\d)\u202f(?=\d)/g, "").replace(/^[=+\-@]/, "'$&");
}

// Offers the numbers of a table as a file.
function offer(table) {
  const quoted = (cell) => `"${(cell.dataset.value ?? written(cell.textContent)).replaceAll('"', '""')}"`;
  const link = document.createElement("a");
  link.textContent = "CSV";
  link.className = "file";
  link.href = "#";
  link.download = `parley-${table.closest("[data-panel], section")?.getAttribute("aria-labelledby")?.replace("title-", "") ?? "table"}.csv`;
  link.addEventListener("click", () => {
    const lines = [...table.rows].map((row) => [...row.cells].map(quoted).join(","));
    link.href = URL.createObjectURL(new Blob([lines.join("\r\n"), "\r\n"], { type: "text/csv" }));
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });
  (table.closest(".scroll") ?? table).after(link);
}

// What lies further down is asked for when somebody comes there: each panel costs what its question reads, and those that
// are looked at need not wait for the others.
const coming = new IntersectionObserver((seen) => seen.forEach((each) => each.isIntersecting && ask(each.target)));
const asked = new WeakSet();

function ask(panel) {
  coming.unobserve(panel);
  if (!asked.has(panel)) load(panel);
  asked.add(panel);
}

document.querySelectorAll("[data-panel]:not([data-when-seen])").forEach(load);
document.querySelectorAll("[data-when-seen]").forEach((panel) => coming.observe(panel));
// Paper shows all there is, as far as it comes in time.
addEventListener("beforeprint", () => document.querySelectorAll("[data-when-seen]").forEach(ask));
document.querySelectorAll("main > section [data-chart]").forEach((figure) => figure.closest("[data-panel]") || draw(figure));
document.querySelectorAll("main > section:not([data-panel]) table").forEach(offer);
dark.addEventListener("change", () => document.querySelectorAll("[data-chart]").forEach((figure) => draw(figure)));
