"""Servers on this machine that play the interfaces of Zoho and Fxiaoke, with all their moods.

A script says which answers go wrong, by their number: a token that has run out, too many
requests, a connection cut in the middle of an answer. Everything asked is noted.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

__all__ = ["FxiaokeApi", "PlayedApi", "Reply", "ZohoApi", "played"]

SECRET = "s3cret-of-nobody"


class Reply(NamedTuple):
    """An answer: its status, its body, headers, and whether it is cut in the middle."""

    status: int
    body: object = None
    headers: Mapping[str, str] = MappingProxyType({})
    cut: bool = False


class Asked(NamedTuple):
    """What was asked: path, parameters, headers and body."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: str


class PlayedApi:
    """What every played interface does."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.moods: dict[int, Reply] = {}
        """By the number of a request for data, what goes wrong with it."""
        self.valid: set[str] = set()
        self.tokens = 0
        self._requests = 0
        self.url = ""

    def new_token(self) -> str:
        self.tokens += 1
        token = f"token-{self.tokens}-{SECRET}"
        self.valid = {token}
        return token

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if self.is_token(asked):
            return self.give_token(asked)
        self._requests += 1
        mood = self.moods.pop(self._requests, None)
        return mood or self.answer(asked)

    def is_token(self, asked: Asked) -> bool:
        raise NotImplementedError

    def give_token(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def answer(self, asked: Asked) -> Reply:
        raise NotImplementedError


class ZohoApi(PlayedApi):
    """Zoho CRM: modules with records, in pages."""

    def __init__(
        self, modules: dict[str, list[dict[str, Any]]], pipelines: object = None
    ) -> None:
        super().__init__()
        self.modules = modules
        self.pipelines = pipelines
        self.timelines: dict[str, list[dict[str, Any]]] = {}

    def is_token(self, asked: Asked) -> bool:
        return asked.path == "/oauth/v2/token"

    def give_token(self, asked: Asked) -> Reply:
        form = {name: values[0] for name, values in parse_qs(asked.body).items()}
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != SECRET:
            return Reply(200, {"error": "invalid_code"})
        told = {"access_token": self.new_token(), "api_domain": self.url, "expires_in": 3600}
        return Reply(200, told)

    def answer(self, asked: Asked) -> Reply:
        token = asked.headers.get("authorization", "").removeprefix("Zoho-oauthtoken ")
        if token not in self.valid:
            return Reply(401, {"code": "INVALID_TOKEN", "message": "invalid oauth token"})
        parts = asked.path.removeprefix("/crm/v8/").split("/")
        match parts:
            case ["settings", what]:
                return self._settings(what, asked)
            case [_, id, "__timeline"]:
                return self._timeline(id)
            case [module]:
                return self._page(module, asked.params)
            case _:
                return Reply(404, {"code": "INVALID_URL_PATTERN"})

    def _settings(self, what: str, asked: Asked) -> Reply:
        if what == "layouts":
            return Reply(200, {"layouts": [{"id": "1", "name": "Standard"}]})
        if what == "pipeline":
            return Reply(200, self.pipelines) if self.pipelines else Reply(204)
        records = self.modules.get(asked.params["module"], ())
        names = sorted({name for each in records for name in each})
        return Reply(200, {"fields": [{"api_name": name} for name in names]})

    def _timeline(self, id: str) -> Reply:
        entries = self.timelines.get(id, [])
        return Reply(200, {"__timeline": entries, "info": {}}) if entries else Reply(204)

    def _page(self, module: str, params: dict[str, str]) -> Reply:
        if module not in self.modules:
            return Reply(400, {"code": "INVALID_MODULE", "message": "no such module"})
        size = int(params["per_page"])
        if "page_token" in params:
            first = int(params["page_token"].removeprefix(f"{module}-"))
        else:
            first = (int(params["page"]) - 1) * size
            if int(params["page"]) > 10:
                return Reply(400, {"code": "DISCRETE_PAGINATION_LIMIT_EXCEEDED"})
        wanted = params["fields"].split(",")
        records = [
            {name: each.get(name) for name in ("id", *wanted)}
            for each in self.modules[module][first : first + size]
        ]
        if not records:
            return Reply(204)
        more = first + size < len(self.modules[module])
        info: dict[str, object] = {"more_records": more, "per_page": size}
        info |= {"next_page_token": f"{module}-{first + size}"} if more else {}
        return Reply(200, {"data": records, "info": info})


class FxiaokeApi(PlayedApi):
    """Fxiaoke: objects with records, by offset; errors have status 200."""

    def __init__(self, objects: dict[str, list[dict[str, Any]]]) -> None:
        super().__init__()
        self.objects = objects

    def is_token(self, asked: Asked) -> bool:
        return asked.path in ("/oauth2.0/token", "/cgi/corpAccessToken/get/V2")

    def give_token(self, asked: Asked) -> Reply:
        body = json.loads(asked.body)
        if body.get("appSecret") != SECRET:
            return Reply(200, {"errorCode": 10006, "errorMessage": "appSecret is illegal"})
        if asked.path.startswith("/cgi"):
            told = {"corpAccessToken": self.new_token(), "corpId": "FSCID_1"}
        else:
            told = {"accessToken": self.new_token(), "ea": "fs1"}
        return Reply(200, {"errorCode": 0, "expiresIn": 7200, **told})

    def answer(self, asked: Asked) -> Reply:
        body = json.loads(asked.body)
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if (token or body.get("corpAccessToken")) not in self.valid:
            return Reply(200, {"errorCode": 20016, "errorMessage": "token expired"})
        data = body["data"]
        name, search = data["dataObjectApiName"], data["search_query_info"]
        if name not in self.objects:
            return Reply(200, {"errorCode": 320001400, "errorMessage": "对象不存在"})
        if (
            search["limit"] > 100
            or search["offset"] % search["limit"]
            or search["offset"] > 2_000
        ):
            return Reply(200, {"errorCode": 10006, "errorMessage": "offset"})
        records = sorted(self.objects[name], key=lambda each: each["create_time"])
        for each in search["filters"]:
            since = each["field_values"][0]
            records = [record for record in records if record["create_time"] >= since]
        page = records[search["offset"] :][: search["limit"]]
        return Reply(200, {"errorCode": 0, "data": {"dataList": page, "total": len(records)}})


@contextmanager
def played(api: PlayedApi) -> Iterator[PlayedApi]:
    """Play an interface on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            self._play()

        def do_POST(self) -> None:
            self._play()

        def _play(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length).decode()
            params = {name: values[0] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = api.reply(Asked(parts.path, params, headers, body))
            content = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content) + 1_000 * reply.cut))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if reply.cut else content)
            self.close_connection = reply.cut

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
