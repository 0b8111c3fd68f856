"""Runs an AgentArea plugin that is written in Python.

serve() performs the handshake of HashiCorp's go-plugin including AutoMTLS, serves
the Base service, and exits when the host requests it or exits itself. It requires
grpcio and, for the certificate, the program openssl.
"""

import base64
import concurrent.futures
import dataclasses
import json
import os
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time

import grpc
from google.protobuf import any_pb2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "gen"))

from base.v1 import base_pb2, message_pb2  # noqa: E402

COOKIE = ("AGENTAREA_PLUGIN", "f3b0c1a94e7d4d0a8f5c26e97b1d83ea")
MAX_MESSAGE = 64 << 20  # bytes, the host's limit
THREADS = 64  # maximum number of concurrent calls


@dataclasses.dataclass
class Attribute:
    """An attribute of the config block in plugins.hcl."""

    name: str
    type: str = "string"  # string, number or bool
    default: object = None  # None makes the attribute required
    description: str = ""
    secret: bool = False


class ConfigError(Exception):
    """An invalid value in the config block."""

    def __init__(self, path, summary, detail=""):
        super().__init__(summary)
        self.path, self.summary, self.detail = path, summary, detail


class Error(Exception):
    """An error that is sent to the host with its code; see base/v1/message.proto."""

    STATUS = {
        "rate_limited": grpc.StatusCode.RESOURCE_EXHAUSTED,
        "unavailable": grpc.StatusCode.UNAVAILABLE,
        "timeout": grpc.StatusCode.DEADLINE_EXCEEDED,
        "unauthorized": grpc.StatusCode.UNAUTHENTICATED,
        "invalid_request": grpc.StatusCode.INVALID_ARGUMENT,
        "context_too_long": grpc.StatusCode.INVALID_ARGUMENT,
        "not_found": grpc.StatusCode.NOT_FOUND,
        "content_filter": grpc.StatusCode.FAILED_PRECONDITION,
    }

    def __init__(self, code, message, retryable=False, retry_after=0.0, provider_status=0):
        super().__init__(message)
        self.status = self.STATUS.get(code, grpc.StatusCode.INTERNAL)
        self.detail = message_pb2.Error(
            code=code, message=message, retryable=retryable,
            retry_after_ms=int(retry_after * 1000), provider_status=provider_status,
        )

    def metadata(self):
        """Returns a google.rpc.Status with the detail. grpcio has no type for it."""
        detail = any_pb2.Any()
        detail.Pack(self.detail)
        fields = b"\x08" + _varint(self.status.value[0])
        for tag, value in ((b"\x12", str(self).encode()), (b"\x1a", detail.SerializeToString())):
            fields += tag + _varint(len(value)) + value
        return (("grpc-status-details-bin", fields),)


def _varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def log(level, message, **attributes):
    """Writes a line to the host's log. level is debug, info, warn or error."""
    line = {"@level": level, "@message": message, "@timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())}
    print(json.dumps({**line, **attributes})[:32000], file=sys.stderr, flush=True)


def trace(context):
    """Returns the headers that make a request part of the call's trace, if it has one."""
    return {k: v for k, v in context.invocation_metadata() if k in ("traceparent", "tracestate")}


class _ActiveCalls:
    """Counts the calls in progress. Health reports it, so that the conformance kit
    notices a call that continues after its cancellation."""

    def __init__(self):
        self.count, self.lock = 0, threading.Lock()

    def __enter__(self):
        with self.lock:
            self.count += 1

    def __exit__(self, *_):
        with self.lock:
            self.count -= 1


_active = _ActiveCalls()


def unary(request_type, handle):
    """Returns a method with one reply. Exceptions are sent to the host."""

    def counted(request, context):
        with _active:
            return handle(request, context)

    return _unary(request_type, counted)


def _unary(request_type, handle):
    """Returns a method whose calls are not counted, for the Base service."""

    def call(request, context):
        try:
            return handle(request, context)
        except Exception as e:  # noqa: BLE001
            _fail(context, e)

    return grpc.unary_unary_rpc_method_handler(
        call, request_deserializer=request_type.FromString, response_serializer=lambda m: m.SerializeToString())


def streaming(request_type, handle):
    """Returns a method whose replies are the values that the generator handle yields."""

    def call(request, context):
        try:
            with _active:
                yield from handle(request, context)
        except Exception as e:  # noqa: BLE001
            _fail(context, e)

    return grpc.unary_stream_rpc_method_handler(
        call, request_deserializer=request_type.FromString, response_serializer=lambda m: m.SerializeToString())


def _fail(context, e):
    if not isinstance(e, Error):
        log("error", "call failed", error=repr(e))
        e = Error("internal", "internal error of the plugin; see its log")
    context.set_trailing_metadata(e.metadata())
    context.abort(e.status, str(e))


class _Base:
    """The Base service, which plugins of every kind implement."""

    def __init__(self, kind, name, version, description, capabilities, attributes, configure):
        self.description = base_pb2.DescribeResponse(
            kind=kind, name=name, version=version, description=description, capabilities=capabilities)
        self.attributes, self.on_configure = attributes, configure

    def schema(self, request, context):
        return base_pb2.ConfigSchemaResponse(schema=base_pb2.BlockSchema(attributes=[
            base_pb2.Attribute(
                name=a.name, type=a.type, required=a.default is None, secret=a.secret, description=a.description,
                default_json="" if a.default is None else json.dumps(a.default))
            for a in self.attributes
        ]))

    def configure(self, request, context):
        response = base_pb2.ConfigureResponse()
        try:
            config = json.loads(request.config_json or b"{}")
            values = {a.name: self.value(a, config) for a in self.attributes}
            if self.on_configure:
                self.on_configure(values, request.label, request.data_dir)
        except ConfigError as e:
            response.diagnostics.add(severity=base_pb2.SEVERITY_ERROR, summary=e.summary, detail=e.detail, path=e.path)
        return response

    @staticmethod
    def value(attribute, config):
        value = config.get(attribute.name)
        if value is None:
            value = attribute.default
        expected = {"string": str, "number": (int, float), "bool": bool}[attribute.type]
        if not isinstance(value, expected) or isinstance(value, bool) and attribute.type != "bool":
            raise ConfigError([attribute.name], "must be a " + attribute.type)
        return value

    def handlers(self):
        return grpc.method_handlers_generic_handler("agentarea.base.v1.BaseService", {
            "Describe": _unary(base_pb2.DescribeRequest, lambda r, c: self.description),
            "ConfigSchema": _unary(base_pb2.ConfigSchemaRequest, self.schema),
            "Configure": _unary(base_pb2.ConfigureRequest, self.configure),
            "Health": _unary(base_pb2.HealthRequest, lambda r, c: base_pb2.HealthResponse(
                healthy=True, active_calls=_active.count, tasks=threading.active_count())),
            "Stop": _unary(base_pb2.StopRequest, lambda r, c: base_pb2.StopResponse()),
        })


def _go_plugin(stopped):
    """Returns go-plugin's own services, with messages as bytes. All messages are empty
    except the health status, whose first field is 1 (SERVING)."""

    def raw(handle):
        return grpc.unary_unary_rpc_method_handler(handle)  # bytes in, bytes out

    def shutdown(request, context):
        stopped.set()
        return b""

    return (
        grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": raw(shutdown)}),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": raw(lambda r, c: b"\x08\x01")}),
    )


def _certificate(folder):
    """Creates a key and a self-signed certificate and returns both as PEM."""
    key, cert = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(key, "rb") as k, open(cert, "rb") as c:
        return k.read(), c.read()


def serve(kind, name, version, description, service, methods, capabilities=(), attributes=(), configure=None):
    """Runs the plugin until the host stops it or exits.

    service is the full name of the kind's service. methods maps the names of its
    methods to handlers made with unary and streaming. configure(values, label,
    data_dir) receives the config block and may raise ConfigError.
    """
    if os.environ.get(COOKIE[0]) != COOKIE[1]:
        sys.exit(f"{name} is an AgentArea plugin. Add a block for it to plugins.hcl; agentarea serve starts it.")
    stopped = threading.Event()
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(max_workers=THREADS),
        options=[("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)])
    base = _Base(kind, name, version, description, capabilities, attributes, configure)
    server.add_generic_rpc_handlers((
        base.handlers(), grpc.method_handlers_generic_handler(service, methods), *_go_plugin(stopped)))

    with tempfile.TemporaryDirectory(dir=os.environ.get("PLUGIN_UNIX_SOCKET_DIR")) as folder:
        path, own_cert = os.path.join(folder, "s"), ""
        host_cert = os.environ.get("PLUGIN_CLIENT_CERT")
        if host_cert:  # AutoMTLS: each side trusts only the certificate of the other side
            key, cert = _certificate(folder)
            server.add_secure_port("unix:" + path, grpc.ssl_server_credentials([(key, cert)], host_cert.encode(), True))
            own_cert = base64.b64encode(ssl.PEM_cert_to_DER_cert(cert.decode())).decode().rstrip("=")
        else:
            server.add_insecure_port("unix:" + path)
        server.start()
        print(f"1|1|unix|{path}|grpc|{own_cert}", flush=True)
        threading.Thread(target=_lifeline, args=(stopped,), daemon=True).start()
        stopped.wait()
        server.stop(grace=0.5).wait()
    os._exit(0)  # a thread may still be waiting for stdin


def _lifeline(stopped):
    """Waits for the end of stdin. The host holds the other end of the pipe, so the end
    means that the host has exited. A stdin that is not a pipe is ignored."""
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    try:
        while os.read(0, 4096):
            pass
    finally:
        stopped.set()
