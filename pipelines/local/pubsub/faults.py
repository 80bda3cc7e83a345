"""Failing on purpose, so that tests see what clients do then."""

import json
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import grpc

from pipelines.local.pubsub.errors import PubSubError, invalid

SERVICE = "parley.local.Faults"


@dataclass(slots=True)
class Fault:
    """What happens to the calls of one method."""

    code: grpc.StatusCode | None
    delay: float
    hang: bool
    times: int | None
    after: bool
    cleared: bool = False


class Faults:
    """The faults of a server, by method name ("Publish", "Pull", "StreamingPull", …)."""

    def __init__(self, methods: Collection[str], on_change: Callable[[], None]) -> None:
        self._methods = methods
        self._on_change = on_change
        self._faults: dict[str, Fault] = {}
        self._changed = threading.Condition()

    def set(
        self,
        method: str,
        *,
        code: grpc.StatusCode | None = None,
        delay: float = 0,
        hang: bool = False,
        times: int | None = None,
        after: bool = False,
    ) -> None:
        """Make calls of a method wait, then fail with `code` or go on where there is none.

        Args:
            method: one of Pub/Sub's; a stream meets its fault when it opens, when the fault is set and
                before each response.
            code: the status to answer.
            delay: seconds to wait first.
            hang: wait until the fault is cleared or the client gives up.
            times: only the next so many calls.
            after: do the work first, so that only the answer is late or lost (streams have no such fault).

        Raises:
            PubSubError: there is no such method.
        """
        if method not in self._methods:
            raise invalid(f"No method {method}; there are {', '.join(sorted(self._methods))}.")
        with self._changed:
            self._drop(method)
            self._faults[method] = Fault(code, delay, hang, times, after)
        self._on_change()

    def clear(self, method: str | None = None) -> None:
        """Forget the fault of one method or all; calls that wait go on."""
        with self._changed:
            for name in [method] if method else list(self._faults):
                self._drop(name)

    def waiting(self, method: str, *, after: bool = False) -> bool:
        """Return whether the next call of a method would meet a fault."""
        with self._changed:
            return self._find(method, after) is not None

    def meet(self, method: str, context: Any, *, after: bool = False) -> None:
        """Let a call meet the fault of its method, if there is one.

        Raises:
            PubSubError: with the fault's code; CANCELLED where the client gave up meanwhile.
        """
        with self._changed:
            fault = self._find(method, after)
            if fault is None:
                return
            if fault.times is not None:
                fault.times -= 1
            if fault.delay or fault.hang:
                self._wait(fault, context)
        if fault.code and not fault.cleared:
            raise PubSubError(fault.code, f"Injected fault of {method}.")

    def _find(self, method: str, after: bool) -> Fault | None:
        fault = self._faults.get(method)
        return fault if fault and fault.times != 0 and fault.after == after else None

    def _wait(self, fault: Fault, context: Any) -> None:
        context.add_callback(self._wake)
        self._changed.wait_for(
            lambda: fault.cleared or not context.is_active(),
            None if fault.hang else fault.delay,
        )
        if not context.is_active():
            raise PubSubError(grpc.StatusCode.CANCELLED, "The client gave up.")

    def _drop(self, method: str) -> None:
        fault = self._faults.pop(method, None)
        if fault:
            fault.cleared = True
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def admin_handler(faults: Faults) -> Any:
    """Return the gRPC handler through which another process sets and clears faults."""

    def unary(change: Callable[..., None]) -> Any:
        def call(request: bytes, context: Any) -> bytes:
            try:
                change(**_decode(request))
            except PubSubError as error:
                context.abort(error.code, str(error))
            return b""

        return grpc.unary_unary_rpc_method_handler(call)

    return grpc.method_handlers_generic_handler(SERVICE, {"Set": unary(faults.set), "Clear": unary(faults.clear)})


class RemoteFaults:
    """The faults of a server in another process."""

    def __init__(self, address: str) -> None:
        """Take the server's address, as in `PUBSUB_EMULATOR_HOST`."""
        self._address = address

    def set(
        self,
        method: str,
        *,
        code: grpc.StatusCode | None = None,
        delay: float = 0,
        hang: bool = False,
        times: int | None = None,
        after: bool = False,
    ) -> None:
        """Do what `Faults.set` does.

        Raises:
            grpc.RpcError: the server cannot be reached or has no such method.
        """
        name = code.name if code else None
        self._call("Set", method=method, code=name, delay=delay, hang=hang, times=times, after=after)

    def clear(self, method: str | None = None) -> None:
        """Do what `Faults.clear` does.

        Raises:
            grpc.RpcError: the server cannot be reached.
        """
        self._call("Clear", method=method)

    def _call(self, name: str, **arguments: Any) -> None:
        with grpc.insecure_channel(self._address) as channel:
            channel.unary_unary(f"/{SERVICE}/{name}")(json.dumps(arguments).encode(), timeout=10)


def _decode(request: bytes) -> dict[str, Any]:
    arguments: dict[str, Any] = json.loads(request)
    if code := arguments.get("code"):
        arguments["code"] = grpc.StatusCode[code]
    return arguments
