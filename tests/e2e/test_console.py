"""The pages as a person uses them: in Chromium, with a keyboard, on a phone, behind a proxy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from support.browser import Browser, log, open_browser, resize
from support.canaries import answering
from support.homes import HOME, Homes, Up
from support.live import Serve, Service
from support.proxied import behind_prefix

WAIT_S = 15
PHONE = 360
DESK = 1280
REFERENCE = "application/vnd.modelway.upload+json"
RULES = """
from datetime import datetime
from typing import Literal

def greet(
    kind: Literal["cat", "dog"], name: str | None, age: int, tame: bool | None, small: bool,
    born: datetime | None,
) -> str:
    \"\"\"<img src=x onerror=alert(1)> says hello\"\"\"
    return f"<b>{kind} {name} {age} {tame} {small} {born}</b>"
"""
UNLABELLED = """
return [...document.querySelectorAll("input, select, textarea")]
  .filter((one) => !one.labels?.length && !one.getAttribute("aria-label"))
  .map((one) => one.outerHTML);
"""
BROKEN_OUT = """
return [...document.querySelectorAll("main *")]
  .filter((one) => !one.closest(".scroll, pre"))
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => one.outerHTML.slice(0, 120));
"""


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, Path]]:
    """One browser for all tests, and the folder of its downloads."""
    folder = tmp_path_factory.mktemp("browser")
    found = open_browser(folder)
    yield found, folder
    found.quit()


@pytest.fixture
def browser(window: tuple[Browser, Path]) -> Browser:
    """The browser on an empty page of a desk's width, its logs read."""
    found = window[0]
    found.get("about:blank")
    resize(found, DESK)
    for kind in ("browser", "performance"):
        log(found, kind)
    return found


@pytest.fixture(scope="module")
def service(
    serve_all: Serve, iris_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    rules = tmp_path_factory.mktemp("rules") / "rules.py"
    rules.write_text(RULES)
    return serve_all(iris_bundle, f"{rules}:greet", "--output-name", "greet=greeting")


@pytest.fixture(scope="module")
def up(iris_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Where jobs and labels are taken too."""
    folder = tmp_path_factory.mktemp("up")
    answering(folder / HOME, iris_bundle, "iris")
    with Homes() as homes:
        yield homes.up(folder, "--no-mlflow", workers=1)


def one(browser: Browser, selector: str) -> WebElement:
    """The first element of a CSS selector that can be seen; waits for it."""

    def seen(_: Browser) -> WebElement | None:
        found = browser.find_elements(By.CSS_SELECTOR, selector)
        return next((element for element in found if element.is_displayed()), None)

    found: WebElement | None = WebDriverWait(browser, WAIT_S).until(seen, f"nothing at {selector}")
    assert found is not None
    return found


def field(browser: Browser, column: str) -> WebElement:
    return one(browser, f'[data-column="{column}"] :is(input, select)')


def put(browser: Browser, column: str, text: str) -> None:
    found = field(browser, column)
    found.clear()
    found.send_keys(text)


def predict(browser: Browser) -> str:
    """Press Predict; the headline of the answer."""
    button = one(browser, "form button[type=submit]")
    browser.execute_script("document.querySelector('.live').replaceChildren()")
    button.click()
    return one(browser, ".result .headline").text


def requested(browser: Browser) -> set[str]:
    """The addresses of everything that was asked for since the last time."""
    messages = [json.loads(entry["message"])["message"] for entry in log(browser, "performance")]
    return {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    } - {"about:blank"}


def test_a_prediction_without_a_mouse(browser: Browser, service: Service) -> None:
    browser.get(service.url)
    one(browser, "form")
    values = {
        "sepal_length": "7.7",
        "sepal_width": "3",
        "petal_length": "6.1",
        "petal_width": "2.3",
    }
    for _ in range(40):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        focused = browser.switch_to.active_element
        column = focused.find_element(By.XPATH, "..").get_attribute("data-column")
        if column in values:
            ActionChains(browser).send_keys(values.pop(column)).perform()
        if not values:
            break
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    assert one(browser, ".result .headline").text == "virginica"
    assert "label 2" in one(browser, ".result").text
    bars = one(browser, ".bars").text.splitlines()
    assert bars[0] == "virginica"
    assert bars[1].endswith("%")
    assert one(browser, ".live").get_attribute("aria-live") == "polite"


def test_what_is_wrong_is_said_at_its_field(browser: Browser, service: Service) -> None:
    browser.get(service.url)
    put(browser, "sepal_width", "")
    put(browser, "petal_width", "")
    assert predict(browser) == "Some values do not fit"
    notes = {
        name: one(browser, f'[data-column="{name}"] .note').text
        for name in ("sepal_width", "petal_width")
    }
    assert set(notes.values()) == {"expected a number, nothing came"}
    wrong = field(browser, "sepal_width")
    assert wrong.get_attribute("aria-invalid") == "true"
    assert browser.switch_to.active_element == wrong
    wrong.send_keys("3")
    assert wrong.get_attribute("aria-invalid") is None

    put(browser, "petal_width", "99")
    predict(browser)
    assert "as in training" in one(browser, '[data-column="petal_width"].unusual .note').text
    assert "petal_width" in one(browser, ".warnings").text


def test_every_kind_of_column_and_nothing_becomes_markup(
    browser: Browser, service: Service
) -> None:
    browser.get(f"{service.url}/#greet")
    Select(field(browser, "kind")).select_by_visible_text("dog")
    put(browser, "name", "<script>alert(1)</script>")
    put(browser, "age", "7")
    Select(field(browser, "tame")).select_by_visible_text("true")
    if not field(browser, "small").is_selected():
        field(browser, "small").click()
    browser.execute_script("arguments[0].value = '2024-05-17T12:30:05'", field(browser, "born"))
    said = predict(browser)
    assert said == "<b>dog <script>alert(1)</script> 7 True True 2024-05-17 12:30:05</b>"
    assert one(browser, ".result .kicker").text == "GREETING"
    assert "<img src=x onerror=alert(1)> says hello" in one(browser, "main").text

    put(browser, "name", "")
    Select(field(browser, "tame")).select_by_visible_text("missing")
    field(browser, "born").clear()
    assert predict(browser) == "<b>dog None 7 None True None</b>"
    assert browser.find_elements(By.CSS_SELECTOR, "main img, main script, main b") == []


def test_a_file_becomes_a_table_and_a_file(
    window: tuple[Browser, Path], browser: Browser, service: Service, tmp_path: Path
) -> None:
    rows = ["7.7,3.0,6.1,2.3", "5.1,3.5,1.4,0.2"] * 15
    sent = tmp_path / "flowers.csv"
    sent.write_text("\n".join(["sepal_length,sepal_width,petal_length,petal_width", *rows]))
    browser.get(service.url)
    one(browser, "input[type=file]").send_keys(str(sent))
    table = one(browser, ".bulk table")
    assert "The first 20 of 30 rows" in table.text
    header, *shown = [line.text.split() for line in table.find_elements(By.TAG_NAME, "tr")]
    assert header[:6] == [
        *("sepal_length", "sepal_width", "petal_length", "petal_width", "prediction", "label")
    ]
    assert len(shown) == 20
    assert shown[1][:6] == ["5.1", "3.5", "1.4", "0.2", "0", "setosa"]

    one(browser, ".bulk a[download]").click()
    downloaded = window[1] / "flowers-predictions.csv"
    WebDriverWait(browser, WAIT_S).until(lambda _: downloaded.exists())
    lines = downloaded.read_text().splitlines()
    assert len(lines) == 31
    assert lines[30].startswith("5.1,3.5,1.4,0.2,0,setosa,")

    unusual = tmp_path / "unusual.csv"
    unusual.write_text("sepal_length,sepal_width,petal_length,petal_width\n1,3,4,1\n5,3,4,1\n")
    one(browser, "input[type=file]").send_keys(str(unusual))
    WebDriverWait(browser, WAIT_S).until(lambda _: "2 rows of" in one(browser, ".bulk").text)
    cells = [
        [cell.text for cell in line.find_elements(By.CSS_SELECTOR, "th, td")]
        for line in browser.find_elements(By.CSS_SELECTOR, ".bulk tr")
    ]
    assert [line[-1] for line in cells] == [
        "warnings",
        "sepal_length: expected a value from 4.3 to 7.9, as in training, got 1",
        "",
    ]

    wrong = tmp_path / "wrong.csv"
    wrong.write_text("sepal_length,sepal_width,petal_length,petal_width\n1,2,3,4\n1,abc,3,\n")
    one(browser, "input[type=file]").send_keys(str(wrong))
    faults = one(browser, ".bulk .faults").text
    assert "/1/sepal_width" in faults
    assert "/1/petal_width" in faults


@pytest.mark.parametrize("path", ["/#iris", "/#greet", "/docs"])
def test_it_fits_a_phone_and_everything_has_a_label(
    browser: Browser, service: Service, path: str
) -> None:
    resize(browser, PHONE)
    browser.get(service.url + path)
    one(browser, "main details")
    for summary in browser.find_elements(By.CSS_SELECTOR, "main details.card > summary"):
        browser.execute_script("arguments[0].click()", summary)
    if path != "/docs":
        predict(browser)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= PHONE, browser.execute_script(BROKEN_OUT)
    assert browser.execute_script(BROKEN_OUT) == []
    assert browser.execute_script(UNLABELLED) == []


def opened_operations(browser: Browser, url: str) -> list[str]:
    """The operations of a service, each of them open."""
    browser.get(f"{url}/docs")
    one(browser, "details.card")
    cards = browser.find_elements(By.CSS_SELECTOR, "details.card")
    for card in cards:
        card.find_element(By.TAG_NAME, "summary").click()
    return [str(card.get_attribute("id")) for card in cards]


def tried(browser: Browser, name: str) -> str:
    """Send what an open operation offers; the status of its answer."""
    send = one(browser, f"#{name} form.trial button[type=submit]")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", send)
    send.click()
    return one(browser, f"#{name} .response .status").text


def test_every_operation_can_be_tried(browser: Browser, service: Service) -> None:
    names = opened_operations(browser, service.url)
    assert {"predict", "query", "predict_iris", "predict_greet", "models"} <= set(names)
    for name in names:
        assert tried(browser, name) == "200", browser.find_element(By.ID, name).text
    body = one(browser, "#predict .response > pre").text
    assert json.loads(body)["prediction"] in (0, 1, 2)


def test_every_operation_of_up_opens_and_rows_can_be_sent_for_later(
    browser: Browser, up: Up
) -> None:
    for name in opened_operations(browser, up.url):
        one(browser, f"#{name} form.trial button[type=submit]")
    assert log(browser, "browser") == []
    assert [tried(browser, name) for name in ("job_iris", "process")] == ["202", "202"]
    for media_type in ("application/json", "text/csv"):
        Select(one(browser, "#upload .body select")).select_by_visible_text(media_type)
        assert tried(browser, "upload") == "201"
        kept = json.loads(one(browser, "#upload .response > pre").text)
        assert kept["media_type"] == media_type
        Select(one(browser, "#job_iris .body select")).select_by_visible_text(REFERENCE)
        body = one(browser, "#job_iris .body textarea")
        assert list(json.loads(str(body.get_attribute("value")))) == ["upload"]
        body.clear()
        body.send_keys(json.dumps({"upload": kept["id"]}))
        assert tried(browser, "job_iris") == "202"


def test_what_was_chosen_from_a_list_can_be_unchosen(browser: Browser, up: Up) -> None:
    opened_operations(browser, up.url)
    state = Select(one(browser, "#jobs form.trial select"))
    assert state.first_selected_option.text == ""
    state.select_by_visible_text("cancelled")
    assert tried(browser, "jobs") == "200"
    assert one(browser, "#jobs .response code").text == f"{up.url}/jobs?state=cancelled"
    state.select_by_value("")
    assert tried(browser, "jobs") == "200"
    assert one(browser, "#jobs .response code").text == f"{up.url}/jobs"


def test_the_schema_of_a_body_shows_every_column(browser: Browser, service: Service) -> None:
    browser.get(f"{service.url}/docs")
    one(browser, "#predict > summary").click()
    one(browser, "#predict .choices .properties > div")
    columns = [
        entry.text.splitlines()
        for entry in browser.find_elements(By.CSS_SELECTOR, "#predict .choices .properties > div")
    ]
    heading, kind, description = next(c for c in columns if c[0].startswith("petal_width"))
    assert heading.endswith("required")
    assert kind == "number (double)"
    assert description == "In training 0.1 to 2.5; anything else is answered with a warning."


def test_it_works_behind_a_proxy_that_cuts_a_path_off(browser: Browser, service: Service) -> None:
    with behind_prefix(service, "/team/a") as proxied:
        assert_works_under(browser, proxied.url)


def test_it_works_under_a_prefix_of_its_own(
    browser: Browser, serve: Serve, iris_bundle: Path
) -> None:
    assert_works_under(browser, serve(iris_bundle, prefix="/team/b").url)


def assert_works_under(browser: Browser, url: str) -> None:
    """Page, API page and what they ask stay under the address."""
    browser.get(f"{url}/")
    assert predict(browser) in ("setosa", "versicolor", "virginica")
    browser.find_element(By.LINK_TEXT, "API").click()
    one(browser, "#predict > summary").click()
    one(browser, "#predict form.trial button[type=submit]").click()
    assert one(browser, "#predict .response .status").text == "200"
    assert f"{url}/predict" in one(browser, "#predict .response").text
    browser.find_element(By.LINK_TEXT, "Models").click()
    one(browser, "form")
    asked = requested(browser)
    assert len(asked) > 10
    assert [one for one in asked if not one.startswith(f"{url}/")] == []


def test_nothing_comes_from_elsewhere_and_nothing_fails(browser: Browser, service: Service) -> None:
    for path in ("/", "/docs"):
        browser.get(service.url + path)
        one(browser, "main details")
    time.sleep(0.5)
    hosts = {urlsplit(url).netloc for url in requested(browser)}
    assert hosts == {urlsplit(service.url).netloc}
    assert log(browser, "browser") == []


def test_a_service_that_is_gone_is_said(browser: Browser, serve: Serve, iris_bundle: Path) -> None:
    service = serve(iris_bundle)
    browser.get(service.url)
    one(browser, "form")
    service.process.terminate()
    service.process.wait(20)
    assert predict(browser) == "No answer"
    assert "still running" in one(browser, ".result").text
