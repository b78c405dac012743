"""Every name of floto's own that histories hold: with them, each saved history and open run is read.

A name that changes makes floto blind for what was written before.
"""

from __future__ import annotations

from typing import Any

#: Key of a run's input for its spec.
SPEC_KEY = "decider_spec"
#: Prefix of ids that specs may not use.
RESERVED_PREFIX = "floto."
#: Prefix of the task lists that ``floto.run`` makes for its runs.
OWN_LIST_PREFIX = "floto.run."
#: Prefix of ``control`` in child and signal decisions; the task id follows it.
TASK_CONTROL = "floto.task:"
#: Prefix of the ids of retry timers: the task id and the number of failed attempts follow.
RETRY_PREFIX = "floto.retry:"
#: Prefix of the ids of the timers of tasks that wait for a limited time: the task id follows.
WAIT_PREFIX = "floto.wait:"
#: Id of a timer of 0 seconds that schedules another decision task if one response cannot hold all
#: decisions.
MORE_TIMER = "floto.more"
#: Name of the marker that holds the result of a run which is then continued as new.
RESULT_MARKER = "floto.result"
#: Name of the marker that holds the failures of a run when its cleanup began.
FAILURES_MARKER = "floto.failures"
#: Pseudo task id for the retry timer while ContinueAsNew is throttled.
REPEAT_TASK = "floto.repeat"
#: The same of a daemon.
RENEWAL_TASK = "floto.renewal"
#: Prefix of the markers (then the signal's event id) that record why a signal started no child.
NOTE_PREFIX = "floto.daemon:"
#: Name of the marker that holds what a schedule remembers.
MEMORY_MARKER = "floto.schedule"
#: Prefix of the ids of the timers of a schedule; the time at which each fires follows.
WAKE_PREFIX = "floto.fire:"
#: Prefix of the tag with the time for which a schedule started a run, in ISO 8601.
SCHEDULED_TAG = "floto.scheduled_for:"
#: Key of the carried signals in an input, in order of arrival, each an object of ``name`` and ``input``.
SIGNALS_KEY = "floto.signals"
#: Key of the user's input if that is not an object to which the carried signals can be added.
INPUT_KEY = "floto.input"
#: Prefix of the markers (then the id of a task) with what a redriven run keeps for a task that runs again:
#: the checkpoint of an activity, or what a child keeps of its last run.
CHECKPOINT_PREFIX = "floto.checkpoint:"
#: Key in the input of a redriven run for what it keeps of the run before; also the name of the signals with
#: its parts, if it is too long for the input.
REDRIVE_KEY = "floto.redrive"
#: Name of the signal that replaces the spec of an open run; only the last one has an effect.
CHANGED_SIGNAL = "floto.spec"
#: Prefix of the tag with the digest of a run's spec.
SPEC_TAG = "floto.spec:"
#: Key of an activity's context: an object with ``heartbeat`` and ``start_to_close`` in seconds, ``attempt``,
#: ``checkpoint``, and ``scheduled_for`` in ISO 8601.
TIMEOUTS_KEY = "floto.timeouts"
#: Key of an object in place of a value that a decider stored.
STORED_KEY = "floto.stored"
#: Prefix of compressed payloads.
COMPRESSED = "floto:zlib:"
#: Reason with which a worker gives back an activity that it has no function for. SWF has no such operation,
#: so it is reported as a failure; the deployment is at fault and not the activity, so it counts as a refusal.
NOT_SERVED = "floto.NotServed"
#: Key of a reference to a stored value; its size in bytes is beside it.
REFERENCE_KEY = "floto.payload"


def task_of(control: str | None) -> str | None:
    """Return the task id that floto wrote into a ``control``; None if floto did not write it."""
    return control[len(TASK_CONTROL) :] if control and control.startswith(TASK_CONTROL) else None


def child_of(data: Any) -> str:
    """Return the id by which floto finds a child: that of its task, or the workflow id if it has no task.

    Args:
        data: The data of an event about the start of the child, or the decision.
    """
    workflow_id: str = data.workflow_id
    return task_of(data.control) or workflow_id
