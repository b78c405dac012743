"""A site whose pages are found by following links, and some pages link to themselves."""

from typing import Any

from floto import ActivityTask, DeciderSpec, FixedDelay, Generator, Task

_LINKS = {"home": ("news", "home", "shop"), "news": (), "shop": ()}


def _page(name: str) -> Task:
    make = Generator if _LINKS[name] else ActivityTask
    return make(name="read", version="1", id_=f"read-{name}", input={"page": name})


def read(context: dict[str, Any]) -> Any:
    page = context["activity_task"]["page"]
    return [_page(link) for link in _LINKS[page]] or f"all about {page}"


activities = {"read": read}

robots = ActivityTask(name="robots", version="1", id_="robots", retry_strategy=FixedDelay(5, 2))
login = ActivityTask(name="login", version="1", id_="login")
home = Generator(name="read", version="1", id_="read-home", input={"page": "home"}, requires=[robots, login])
index = ActivityTask(name="index", version="1", id_="index", requires=[home])
logout = ActivityTask(name="logout", version="1", id_="logout", requires=[index])

spec = DeciderSpec(activity_tasks=[robots, login, home, index, logout])
