"""A book whose chapters are listed by a generator, and checked when the book is bound."""

from typing import Any

from floto import ActivityTask, DeciderSpec, Generator, InstantRetry


def contents(_context: dict[str, Any]) -> Any:
    """One task to typeset each chapter."""
    return [
        ActivityTask(name="typeset", version="1", id_=f"chapter-{number}", requires=["bind"])
        for number in (1, 2, 3)
    ]


activities = {"contents": contents}

manuscript = ActivityTask(name="manuscript", version="1", id_="manuscript")
fonts = ActivityTask(name="fonts", version="1", id_="fonts", retry_strategy=InstantRetry(2))
chapters = Generator(name="contents", version="1", id_="chapters", requires=[manuscript, fonts])
cover = ActivityTask(name="cover", version="1", id_="cover", requires=[fonts])
bind = ActivityTask(name="bind", version="1", id_="bind", requires=[chapters, cover])
ship = ActivityTask(name="ship", version="1", id_="ship", requires=[bind])

spec = DeciderSpec(activity_tasks=[manuscript, fonts, chapters, cover, bind, ship])
