"""A control plane that services register with."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from stellarrow.proto import flowctl_pb2 as messages


class ControlPlane:
    """A control plane that knows whom it has heard of since it started."""

    def __init__(self, port: int, *, hangs: bool = False, knows_all: bool = False) -> None:
        self.registered: list[messages.ServiceInfo] = []
        self.beats: list[messages.ServiceHeartbeat] = []
        self._hangs = hangs
        self._knows_all = knows_all
        methods: dict[str, Any] = {
            "Register": (self._register, messages.ServiceInfo),
            "Heartbeat": (self._heartbeat, messages.ServiceHeartbeat),
        }
        handlers: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(work, request.FromString)
            for name, (work, request) in methods.items()
        }
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("flowctl.ControlPlane", handlers)]
        )
        assert self._server.add_insecure_port(f"127.0.0.1:{port}") == port
        self._server.start()

    def _register(self, info: messages.ServiceInfo, context: grpc.ServicerContext) -> bytes:
        if self._hangs:
            while context.is_active():
                time.sleep(0.02)
        self.registered.append(info)
        return messages.RegistrationAck(service_id=f"known-{info.service_id}").SerializeToString()

    def _heartbeat(self, beat: messages.ServiceHeartbeat, context: grpc.ServicerContext) -> bytes:
        if not self.registered and not self._knows_all:
            context.abort(grpc.StatusCode.NOT_FOUND, "who are you?")
        self.beats.append(beat)
        return b""

    def close(self) -> None:
        self._server.stop(0).wait()
