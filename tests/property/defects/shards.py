"""An index that is built in shards, each by the machines that hold it."""

from attrs import evolve, frozen

from floto import CODEC, ActivityTask, DeciderSpec, Given, InstantRetry
from floto.core.swf.decisions import ScheduleActivityTask
from floto.core.swf.shapes import TaskList


@frozen(kw_only=True)
class OnShard(ActivityTask):
    """An activity for the machines of one shard."""

    document: str
    shards: int = 8

    def start(self, given: Given) -> ScheduleActivityTask:
        shard = hash(self.document) % self.shards
        return evolve(super().start(given), task_list=TaskList(f"shard-{shard}"))


codec = CODEC.with_type("index.OnShard", OnShard)

fetch = ActivityTask(name="fetch", version="1", id_="fetch", retry_strategy=InstantRetry(1))
parse = ActivityTask(name="parse", version="1", id_="parse", requires=[fetch])
index = [
    OnShard(name="index", version="1", id_=f"index-{document}", document=document, requires=[parse])
    for document in ("manual", "minutes", "mail")
]
swap = ActivityTask(name="swap", version="1", id_="swap", requires=index)
clear = ActivityTask(name="clear", version="1", id_="clear")

spec = DeciderSpec(activity_tasks=[fetch, parse, *index, swap], on_cancel=[clear])
