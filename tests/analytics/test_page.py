"""The web page in a real browser: what it shows is what REST answers, and nothing else is asked or run."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from analytics.browsing import SERVERS, Browser, started
from analytics.conftest import Serve, Served
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network
from stellarrow.servers.analytics_http.pages import PATHS, page_files

LEDGERS = 120
KALE = "CB23WRDQWGSP6YPMY4UV5C4OW5CBTXKYN3XEATG7KJEZCXMJBYEHOUOV"
AXE = SERVERS / "node" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = ((1440, 900), (820, 1100), (390, 844))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as one:
        yield one


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "lake"
    made = islice(synthetic(20, first=100, ledger_bytes=20_000), LEDGERS)
    write_lake(folder, made, first=100, network=Network.of("synthetic"))
    return folder


@pytest.fixture
def served(serve: Serve, lake: Path) -> Served:
    """A service that has read all ledgers of a lake."""
    made = serve(source=lake, network="synthetic")
    made.wait_for(100 + LEDGERS - 1)
    return made


def pages(served: Served) -> list[str]:
    """Every page, of things that are there."""
    transfers = served.get("/v1/tables/token_transfers/rows", limit=1, event_types="transfer").json()["rows"]
    event = served.get("/v1/tables/contract_events/rows", limit=1).json()["rows"][0]
    named = {
        "/assets/{name:path}": "/assets/native",
        "/accounts/{name:path}": f"/accounts/{transfers[0]['from']}",
        "/contracts/{name:path}": f"/contracts/{event['contract_id']}",
        "/ledgers/{name:path}": "/ledgers/150",
    }
    return [named.get(path, path) for path in PATHS]


def test_the_files_are_small() -> None:
    weights = {name: len(file.zipped) for name, file in page_files().items() if "LICENSE" not in name}
    libraries = sum(size for name, size in weights.items() if name.startswith("vendor/"))
    assert libraries <= 60_000
    assert sum(weights.values()) <= 150_000


def test_a_file_is_sent_once_and_then_only_when_it_changed(served: Served) -> None:
    for name, file in page_files().items():
        answer = served.get(f"/page/{name}")
        assert answer.content == file.plain
        again = served.client.get(f"/page/{name}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        zipped = served.client.get(f"/page/{name}", headers={"accept-encoding": "gzip"})
        assert zipped.content == file.plain
        assert zipped.headers["content-encoding"] == "gzip"


def test_files_of_this_version_are_kept_and_those_of_another_are_asked_for_again(served: Served) -> None:
    html = served.get("/").text
    named = re.findall(r'"(/page/v/[^"]+)"', html)
    assert len(named) > 8
    for path in named:
        answer = served.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        old = served.get(path.replace("/v/", "/v/0"))
        assert (old.content, old.headers["cache-control"]) == (answer.content, "no-cache")
    assert served.get("/").headers["cache-control"] == "no-cache"


def test_the_first_chart_waits_for_nothing_that_the_html_does_not_name(
    browser: Browser, served: Served
) -> None:
    with browser.tab(served.url) as tab:
        asked: list[str] = []
        tab.page.on("request", lambda one: asked.append(one.url.removeprefix(served.url)))
        tab.open("/")
        tab.page.locator(".chart canvas").first.wait_for()
        once = [one for one in asked if one != "/v1/status"]  # which is asked for again and again
        assert len(set(once)) == len(once)
        html = served.get("/").text
        named = {"/", *(path.replace("&amp;", "&") for path in re.findall(r'(?:href|src)="(/[^"]*)"', html))}
        later = [one for one in asked if one not in named]
        assert all(one.startswith("/v1/tables/") or "flechette" in one or "stream" in one for one in later)
        assert {"/v1/status", "/v1/ledgers?limit=90"} <= {*asked} & named


@pytest.mark.parametrize("name", ["../pages.py", "..%2fpages.py", "%2e%2e/pages.py", "none.js", "", "vendor"])
def test_what_is_no_file_of_the_page_is_not_sent(served: Served, name: str) -> None:
    assert served.get(f"/page/{name}").status_code == 404


def test_the_page_may_run_only_its_own_scripts(served: Served) -> None:
    for path in pages(served):
        policy = served.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
    html = page_files()["index.html"].plain.decode()
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", html)
    source = b"".join(file.plain for name, file in page_files().items() if "vendor" not in name)
    assert b"innerHTML" not in source
    assert b"http://" not in source.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"https://" not in source


@pytest.mark.parametrize("size", WIDTHS, ids=lambda size: str(size[0]))
def test_every_page_fits_every_width(browser: Browser, served: Served, size: tuple[int, int]) -> None:
    with browser.tab(served.url, viewport={"width": size[0], "height": size[1]}) as tab:
        for path in pages(served):
            tab.open(path)
            wider = tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wider <= 0, path
            assert tab.page.title().endswith("· stellarrow")


# In the dark nothing but colors differs.
@pytest.mark.parametrize(("scheme", "rules"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})])
def test_a_scanner_of_accessibility_finds_nothing(
    browser: Browser, served: Served, scheme: Any, rules: dict[str, Any]
) -> None:
    if not AXE.is_file():
        pytest.skip(f"{AXE} is not there: make servers fetches it, where there is npm")
    with browser.tab(served.url, color_scheme=scheme, bypass_csp=True) as tab:
        for path in pages(served):
            tab.open(path)
            tab.page.evaluate(AXE.read_text())
            found = tab.page.evaluate("rules => axe.run(rules)", rules)["violations"]
            assert [(path, one["id"], one["nodes"][0]["html"][:100]) for one in found] == []


def test_the_overview_shows_what_rest_answers(browser: Browser, served: Served) -> None:
    newest = served.get("/v1/ledgers/latest").json()
    newest = newest.get("rows", [newest])[0]
    last = newest["ledger_sequence"]
    recent = {"start": last - 59, "end": last}
    events = served.rows("/v1/tables/contract_events/rows", **recent, columns="contract_id", limit=10_000)
    counts: dict[str, int] = {}
    for row in events:
        if row["contract_id"]:
            counts[row["contract_id"]] = counts.get(row["contract_id"], 0) + 1
    busiest = max(counts, key=lambda one: (counts[one], one))
    with browser.tab(served.url) as tab:
        tab.open("/")
        tab.page.get_by_role("heading", name="Latest transfers").wait_for()
        assert f"{last:,}" in tab.text(".figures")
        bars = tab.page.locator(".card", has_text="Busiest contracts").locator(".bar")
        assert bars.first.locator("a").get_attribute("title") == busiest
        assert bars.first.locator(".number").inner_text() == f"{counts[busiest]:,} events"
        strip = tab.page.locator(".strip span")
        assert strip.count() == 90
        assert strip.last.get_attribute("data-ledger") == str(last)
        assert "at most" in str(tab.page.locator(".strip").get_attribute("aria-label"))


def test_a_ledgers_page_shows_its_rows(browser: Browser, served: Served) -> None:
    transfers = served.rows("/v1/tables/token_transfers/rows", start=150, end=150, limit=1_000)
    with browser.tab(served.url) as tab:
        tab.open("/ledgers/150")
        card = tab.page.locator(".card", has=tab.page.locator("h2", has_text="Transfers"))
        more = card.locator("button", has_text="Older rows")
        while more.count():
            shown = card.locator("tbody tr").count()
            more.click()
            tab.page.wait_for_function(
                "([card, many]) => card.querySelectorAll('tbody tr').length > many",
                arg=[card.element_handle(), shown],
            )
        assert card.locator("tbody tr").count() == len(transfers)


def test_filters_of_the_feed_stand_in_the_address(browser: Browser, served: Served) -> None:
    with browser.tab(served.url) as tab:
        tab.open("/feed")
        tab.page.get_by_label("Event types").fill("mint")
        tab.page.get_by_role("button", name="Apply").click()
        tab.page.wait_for_url("**/feed?table=token_transfers&event_types=mint")
        tab.page.locator("main table").wait_for()
        assert set(tab.page.locator("tbody .tag").all_inner_texts()) == {"mint"}
        tab.page.go_back()
        tab.page.wait_for_url("**/feed")
        tab.page.locator("main table").wait_for()
        assert len(set(tab.page.locator("tbody .tag").all_inner_texts())) > 1


def test_a_filter_that_makes_no_sense_is_told_in_a_sentence(browser: Browser, served: Served) -> None:
    with browser.tab(served.url) as tab:
        tab.page.goto(f"{served.url}/feed?where=amount_rew%20%3E%201")
        assert "amount_raw" in tab.text("[role=alert]")


def test_the_search_finds_a_ledger_an_account_and_an_asset(browser: Browser, served: Served) -> None:
    account = next(path for path in pages(served) if path.startswith("/accounts/"))
    with browser.tab(served.url) as tab:
        tab.open("/")
        for typed, path in (
            ("1,50", "/ledgers/150"),
            (account.rpartition("/")[2], account),
            ("xlm", "/assets/native"),
        ):
            tab.page.get_by_role("searchbox").first.fill(typed)
            tab.page.get_by_role("searchbox").first.press("Enter")
            tab.page.wait_for_url(f"**{path}")


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "'><script>alert(1)</script>", "%ff", "../../v1"]
)
def test_what_stands_in_an_address_is_never_markup(browser: Browser, served: Served, name: str) -> None:
    from urllib.parse import quote  # noqa: PLC0415

    with browser.tab(served.url) as tab:
        tab.page.goto(f"{served.url}/assets/{quote(name, safe='')}")
        tab.page.locator("[role=alert], main h1").first.wait_for()
        assert tab.page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("scheme", ["file://", ""])
@pytest.mark.parametrize("asked", [{}, {"start_ledger": 100}])
def test_new_ledgers_appear_by_themselves(
    browser: Browser, serve: Serve, tmp_path: Path, scheme: str, asked: dict[str, int]
) -> None:
    growing = tmp_path / "lake"
    made = list(islice(synthetic(20, first=100, ledger_bytes=20_000), 30))
    write_lake(growing, iter(made[:20]), first=100, network=Network.of("synthetic"))
    served = serve(source=f"{scheme}{growing}", network="synthetic", **asked)
    served.wait_for(119)
    with browser.tab(served.url) as tab:
        tab.open("/")
        tab.page.locator(".figures", has_text="119").wait_for()
        write_lake(growing, iter(made[20:]), first=120, network=Network.of("synthetic"))
        served.wait_for(129)
        tab.page.locator(".figures", has_text="129").wait_for()
        assert tab.page.locator(".strip span").last.get_attribute("data-ledger") == "129"
        received = served.client.get("/metrics").text
        assert "\nledgers_received_total 30.0\n" in received


def test_a_ledger_is_drawn_from_the_event_that_tells_of_it(
    browser: Browser, serve: Serve, tmp_path: Path
) -> None:
    growing = tmp_path / "lake"
    made = list(islice(synthetic(20, first=100, ledger_bytes=20_000), 21))
    write_lake(growing, iter(made[:20]), first=100, network=Network.of("synthetic"))
    served = serve(source=str(growing), network="synthetic")
    served.wait_for(119)
    with browser.tab(served.url) as tab:
        with tab.page.expect_response(lambda answer: "/v1/stream/ledgers" in answer.url):
            tab.open("/")
        tab.page.route(
            re.compile("/v1/(status|ledgers)"), lambda _: None
        )  # none of these is answered any more
        write_lake(growing, iter(made[20:]), first=120, network=Network.of("synthetic"))
        tab.page.locator('.strip span[data-ledger="120"]').wait_for()


def test_an_open_page_says_that_the_service_is_away_and_goes_on_when_it_is_back(
    browser: Browser, serve: Serve, lake: Path
) -> None:
    served = serve(source=lake, network="synthetic")
    served.wait_for(100 + LEDGERS - 1)
    port = served.url.rpartition(":")[2]
    with browser.tab(served.url) as tab:
        tab.open("/")
        tab.page.locator("#pill", has_text=re.compile("Catching up|No new ledgers")).wait_for()
        served.close()
        tab.page.locator("#pill", has_text="Disconnected").wait_for()
        assert tab.page.locator("main .strip span").count() == 90
        again = serve(source=lake, network="synthetic", rest_port=f":{port}")
        again.wait_for(100 + LEDGERS - 1)
        tab.page.locator("#pill", has_text=re.compile("Catching up|No new ledgers")).wait_for()


def test_sql_shows_its_answer_and_stands_in_the_address(browser: Browser, served: Served) -> None:
    query = "select ledger_sequence, count(*) as transfers from token_transfers group by 1 order by 1"
    rows = served.client.post("/v1/query", json={"sql": query}).json()["rows"]
    with browser.tab(served.url) as tab:
        tab.open("/sql")
        tab.page.get_by_label("SQL", exact=True).fill(query)
        tab.page.get_by_role("button", name="Run").click()
        tab.page.locator(".scroll tbody tr").first.wait_for()
        cells = tab.page.locator(".scroll tbody tr").first.locator("td").all_inner_texts()
        assert cells == [str(rows[0]["ledger_sequence"]), rows[0]["transfers"]]
        assert tab.page.locator(".scroll tbody tr").count() == len(rows)
        assert tab.page.locator(".chart canvas").count() == 1
        tab.page.reload()
        tab.page.locator(".scroll tbody tr").first.wait_for()
        tab.page.get_by_label("SQL", exact=True).fill("select nothing from nowhere")
        tab.page.get_by_role("button", name="Run").click()
        assert "nowhere" in tab.text("[role=alert]")


def test_the_page_asks_for_a_key_where_the_service_does(
    browser: Browser, serve: Serve, lake: Path, tmp_path: Path, stellarrow: Callable[..., Any]
) -> None:
    state = tmp_path / "state"
    told = stellarrow("keys", "create", "page", "--role", "reader", "--state-dir", state, "--json")
    key = json.loads(told.out)["api_key"]
    served = serve(source=lake, network="synthetic", auth="api_key")
    with browser.tab(served.url) as tab:
        tab.page.goto(served.url)
        tab.page.get_by_label("API key or token").fill(key)
        tab.page.get_by_role("button", name="Continue").click()
        tab.page.get_by_role("heading", name="Latest transfers").wait_for()
        assert key not in tab.page.url
        assert key not in tab.page.content()


def test_what_is_compressed_is_what_is_sent() -> None:
    assert all(gzip.decompress(file.zipped) == file.plain for file in page_files().values())
