"""A workflow that waits for the signal of the other one; its result is what the signal brings."""

from __future__ import annotations

from floto.specs import DeciderSpec, Signal

spec = DeciderSpec(activity_tasks=[Signal(id_="news", signal_name="published")])
