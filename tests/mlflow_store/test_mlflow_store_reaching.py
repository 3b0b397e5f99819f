"""What stands at the other end of an address: a server, something else, or nothing."""

from __future__ import annotations

import base64
import contextlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import GfmpError, ServiceError
from gfmp.mlflow_store.address import VARIABLE, is_server, preflight
from gfmp.mlflow_store.client import store_faults

AUTHORISED = "Basic " + base64.b64encode(b"me:s3/cr@t").decode()


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved/health":
            self.send_response(302)
            self.send_header("Location", "/good/health")
            self.end_headers()
        elif self.path == "/private/health":
            allowed = self.headers.get("Authorization") == AUTHORISED
            self.send_error(200 if allowed else 401)
        elif self.path == "/cut/health":
            self.connection.close()
        else:
            number = self.path.split("/")[1]
            self.send_error(200 if number == "good" else int(number))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base's name
        """Stay silent."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def refusal(uri: str) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        preflight(uri)
    problem = caught.value.problems[0]
    assert caught.value.exit_status == 69
    assert problem.why.startswith(f"{VARIABLE} names the tracking store")
    assert f"unset {VARIABLE}" in problem.fix
    return caught.value


@pytest.mark.parametrize("path", ["good", "good/", "good//", "moved", "good?x=1#y"])
def test_a_server_behind_a_path_or_a_redirection_is_found(host: str, path: str) -> None:
    preflight(f"http://{host}/{path}")


@pytest.mark.parametrize("number", [401, 404, 500, 503])
def test_each_refusal_is_told_with_its_number(host: str, number: int) -> None:
    fault = refusal(f"http://{host}/{number}")
    assert f"answers {number}" in fault.problems[0].message
    assert fault.problems[0].where == f"http://{host}/{number}"


def test_user_and_password_are_sent_and_never_shown(host: str) -> None:
    preflight(f"http://me:s3%2Fcr%40t@{host}/private")
    fault = refusal(f"http://me:wr0ng@{host}/private")
    assert "answers 401" in fault.problems[0].message
    assert fault.problems[0].where == f"http://[redacted]@{host}/private"
    assert "wr0ng" not in repr(fault.problems)
    assert "answers 401" in refusal(f"http://{host}/private").problems[0].message


def test_a_server_that_hangs_up_is_no_server(host: str) -> None:
    assert "does not answer" in refusal(f"http://{host}/cut").problems[0].message


@contextlib.contextmanager
def speaking(words: bytes) -> Iterator[int]:
    """Answer one connection with `words`, as a service of another kind does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(words)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize(
    "words", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\0\1\2\n", b"", b"HTTP/1.1 what\r\n\r\n"]
)
def test_a_service_of_another_kind_is_an_error_too(words: bytes) -> None:
    with speaking(words) as port:
        fault = refusal(f"http://127.0.0.1:{port}")
    assert "does not answer" in fault.problems[0].message
    assert "\n" not in fault.problems[0].message


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "mlruns",
        "http://host:port",
        "http://[::1",
        "https://",
        "http://a b/",
        "http://host:99999999",
        "ftp://host/x",
        "sqlite",
        "sqlite:mlflow.db",
        "redis://localhost",
    ],
)
def test_a_broken_address_is_refused_with_itself_in_the_message(uri: str) -> None:
    fault = refusal(uri)
    assert fault.problems[0].where == uri


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=30))
def test_no_text_at_all_is_more_than_a_service_error(text: str) -> None:
    for uri in (text, f"sqlite+{text}", f"http://[{text}"):
        is_server(uri)
        with contextlib.suppress(ServiceError):
            preflight(uri)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("HTTP://host", True),
        ("https://u:p@host/x", True),
        ("sqlite:////tmp/http://x", False),
        ("http:host", False),
        ("httpx://host", False),
    ],
)
def test_the_scheme_alone_says_what_is_a_server(uri: str, expected: bool) -> None:
    assert is_server(uri) == expected


def _refuse_mlflow(words: str) -> Exception:
    from mlflow.exceptions import MlflowException

    return MlflowException(words)  # type: ignore[no-any-return]  # untyped


def _refuse_http(words: str) -> Exception:
    from requests.exceptions import ConnectionError as NoConnection

    return NoConnection(words)


def _refuse_database(words: str) -> Exception:
    from sqlalchemy.exc import SQLAlchemyError

    return SQLAlchemyError(words)


@pytest.mark.parametrize("make", [_refuse_mlflow, _refuse_http, _refuse_database])
def test_all_three_layers_of_mlflow_raise_one_error(make: Callable[[str], Exception]) -> None:
    fault = make(f"cannot reach http://me:s3cret@host {'x' * 500}\nsecond line")
    with pytest.raises(ServiceError) as caught, store_faults("http://me:s3cret@host"):
        raise fault
    problem = caught.value.problems[0]
    assert caught.value.__cause__ is fault
    assert problem.message.startswith("MLflow refuses: cannot reach http://[redacted]@host")
    assert len(problem.message) < 350
    assert "second line" not in problem.message
    assert "s3cret" not in repr(problem)
    silent = make("")
    with pytest.raises(ServiceError, match=type(silent).__name__), store_faults("sqlite:///x"):
        raise silent


@pytest.mark.parametrize("fault", [KeyError("x"), KeyboardInterrupt(), GfmpError("ours")])
def test_other_faults_stay_what_they_are(fault: BaseException) -> None:
    with pytest.raises(type(fault)) as caught, store_faults("sqlite:///x"):
        raise fault
    assert caught.value is fault
