"""The pages. Each draws its shell and hands over to its module, which talks to the REST API like everybody else."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.templating import Jinja2Templates

from gapless.app.shown import template_json
from gapless.core.actor import Role
from gapless.core.span import DAY, moment
from gapless.server.context import Server
from gapless.server.ui import assets
from gapless.server.ui.catalogue import dataset_json, datasets_json
from gapless.server.ui.wish import chosen, is_fill, words_of
from gapless.server.ui.words import choose, say, words

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
mount_static = assets.mount

#: Pages in the navigation, in order; the icon is `i-NAME`, the word `nav.NAME`.
NAVIGATION = [
    "jobs",
    "coverage",
    "series",
    "findings",
    "reports",
    "templates",
    "schedules",
    "chains",
    "notifications",
    "system",
    "audit",
    "settings",
]
#: What only admins may see; others are not led there.
FOR_ADMINS = frozenset({"notifications", "audit"})
#: Columns by which the list of jobs can be sorted.
SORTS = ("series", "percent", "state", "fail", "eta")
#: Modules that every page needs, loaded beside its own.
MODULES = ("dom", "text", "api", "live", "theme", "shell")
YEAR = 31_536_000

_templates = Jinja2Templates(Path(__file__).parent / "templates")
# Korean as it is, not as numbers: half the size. `<`, `>`, `&` and `'` stay escaped.
_templates.env.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}


def page(request: Request, name: str, *, status: int = 200, **values: Any) -> Response:
    """Draw a page in the reader's language and colours."""
    asked = request.query_params.get("lang")
    lang = choose(asked, request.cookies.get("lang"), request.headers.get("accept-language", ""))
    user = request.state.user
    shown = {
        "_": partial(say, lang),
        "lang": lang,
        "words": dict(words(lang)),
        "other_lang": "?" + urlencode({**request.query_params, "lang": "en" if lang == "ko" else "ko"}),
        "theme": _kept(request, "theme", ("auto", "light", "dark")),
        "candles": _kept(request, "candles", ("korean", "western")),
        "nonce": request.state.nonce,
        "seen": request.app.state.context.live.seen,
        "static": assets.address(),
        "modules": MODULES,
        "nav": [one for one in NAVIGATION if one not in FOR_ADMINS or (user and user.role is Role.ADMIN)],
        "path": request.url.path,
        "user": user.name if user else "",
        "role": user.role.value if user else "",
    }
    answer = _templates.TemplateResponse(request, f"{name}.html", shown | values, status)
    if asked == lang:
        answer.set_cookie("lang", lang, max_age=YEAR, samesite="lax", path="/")
    return answer


def _kept(request: Request, name: str, choices: tuple[str, ...]) -> str:
    said = request.cookies.get(name, "")
    return said if said in choices else choices[0]


@router.get("/")
@router.get("/batch")
def home(request: Request) -> Response:
    """The list of jobs is the way in."""
    asked = request.url.query
    return RedirectResponse(f"/jobs?{asked}" if asked else "/jobs", 303)


@router.get("/login")
def login(request: Request) -> Response:
    """Sign in."""
    return page(request, "login", what="login")


@router.get("/setup")
def setup(request: Request) -> Response:
    """The first password, over the link that the first start prints."""
    return page(request, "login", what="setup")


@router.get("/jobs")
def jobs(request: Request, server: Server) -> Response:
    """All jobs."""
    sources = sorted({one.source for one in server.history.catalogue.datasets.values() if one.source})
    return page(request, "jobs", sources=sources, sorts=SORTS)


@router.get("/jobs/{job_id:int}")
def job(request: Request, job_id: int) -> Response:
    """One job; its module says so if there is none."""
    return page(request, "job", job=job_id)


@router.get("/coverage")
def coverage(request: Request, server: Server) -> Response:
    """What is stored, and what is missing."""
    return page(request, "coverage", datasets=datasets_json(server.history))


@router.get("/series")
def series_list(request: Request, server: Server) -> Response:
    """Everything that is stored, by name."""
    return page(request, "serieslist", datasets=datasets_json(server.history))


@router.get("/series/{dataset}/{name:path}")
def series(request: Request, server: Server, dataset: str, name: str) -> Response:
    """One series."""
    found = server.history.catalogue.datasets.get(dataset)
    if found is None or not found.is_series(name):
        return page(request, "missing", status=404, text=f"{dataset} {name}"[:200])
    described = dataset_json(server.history, found)
    number, _, report = name.partition("/") if found.variants else (name, "", "")
    return page(
        request,
        "series",
        series={"name": name, "dataset": described},
        candles_fit={"open", "high", "low", "close"} <= {one["name"] for one in described["columns"]},
        rows=f"/api/series/{quote(dataset)}/{quote(name)}/rows",
        wish=urlencode({"dataset": dataset, "series": number} | ({"report": report} if report else {})),
    )


@router.get("/new")
def new(request: Request, server: Server) -> Response:
    """A new backfill; the address may fill the form in, and so may a template that it names."""
    listed = [one for one in datasets_json(server.history) if one["source"] in server.history.catalogue.sources]
    today = moment(server.history.clock.now())
    asked = dict(request.query_params)
    fills = {one.name: one for one in server.history.templates.every() if is_fill(one, listed)}
    template = fills.get(asked.get("template", ""))
    if template is not None and "dataset" not in asked:
        asked = words_of(template, today) | asked
    return page(
        request,
        "new",
        datasets=listed,
        sources=list(dict.fromkeys(one["source"] for one in listed)),
        templates=list(fills),
        template=None if template is None else template_json(template),
        lost="" if template is not None else asked.get("template", "")[:100],
        chosen=chosen(asked, listed, today),
    )


@router.get("/findings")
def findings(request: Request, server: Server) -> Response:
    """What validations have found."""
    listed = datasets_json(server.history)
    return page(request, "findings", datasets=listed, first=next((one["name"] for one in listed if one["first"]), ""))


@router.get("/reports")
def reports(request: Request, server: Server) -> Response:
    """What was reported."""
    listed = datasets_json(server.history)
    first = next((one["name"] for one in listed if one["first"]), "")
    start = moment(server.history.clock.now() - 30 * DAY).date().isoformat()
    return page(request, "reports", datasets=listed, first=first, start=start)


@router.get("/templates")
def templates(request: Request, server: Server) -> Response:
    """Wishes under names."""
    return page(request, "templates", datasets=datasets_json(server.history))


@router.get("/schedules")
def schedules(request: Request) -> Response:
    """Templates that run by the clock."""
    return page(request, "schedules")


@router.get("/chains")
def chains(request: Request) -> Response:
    """What follows jobs."""
    return page(request, "chains")


@router.get("/notifications")
def notifications(request: Request) -> Response:
    """Whom to tell, and what was told."""
    return page(request, "notifications")


@router.get("/system")
def system(request: Request) -> Response:
    """Workers, queues, budgets, health."""
    return page(request, "system")


@router.get("/audit")
def audit(request: Request) -> Response:
    """Who did what, and whether the chain holds; its module says so to whoever may not see it."""
    return page(request, "audit")


@router.get("/settings")
def settings(request: Request) -> Response:
    """How it looks, tokens, the password."""
    return page(request, "settings")
