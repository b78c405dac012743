"""Known deviations of moto from SWF: tests that must fail on moto, and the rule of SWF for each."""

from __future__ import annotations

from collections.abc import Mapping

_CLOSES = "a close decision with unseen events is refused; moto checks only Cancel"
_ZEROS = "an absent event reference is 0; moto omits it"

MOTO_DEVIATES: Mapping[str, str] = {
    "test_01_root_run_has_zero_as_parent_event_ids": _ZEROS,
    "test_02_first_task_has_previous_started_event_id_0": _ZEROS,
    "test_05_timed_out_task_is_not_the_previous_one": "only a completed task is the previous one",
    "test_08_signals_share_the_scheduled_decision_task": "events add no task to a scheduled one",
    "test_09_late_response_is_refused": "a timed out task is unknown; moto raises",
    "test_09_decision_timeout_is_recorded_at_the_time_it_is_fired": "timestamps are those of writing",
    "test_10_decision_timeout_with_a_scheduled_task_schedules_no_second": "the second task stays",
    "test_11_timeout_of_none_never_fires": "NONE means no timeout; moto parses it as a number",
    "test_16_missing_attribute_refuses_the_whole_response": "each missing member is named",
    "test_17_continue_as_new_decision_must_be_last": "close decisions come last",
    "test_19_empty_execution_context_is_stored": "an empty context is stored; moto drops it",
    "test_30_close_with_an_unseen_completion_is_refused": _CLOSES,
    "test_32_decisions_before_a_refused_close_are_kept": _CLOSES,
    "test_34_a_timer_of_a_closed_run_does_not_fire": "no event follows the close of a run",
    "test_36_scheduled_event_has_all_resolved_attributes": "the event has every timeout",
    "test_41_id_of_a_closed_activity_can_be_used_again": "only open activities reserve their ids",
    "test_48_heartbeat_timeout_is_measured_from_the_start": "the timeout runs from the start",
    "test_50_response_for_a_timed_out_activity_is_refused": "a timed out task is unknown; moto raises",
    "test_56_closed_run_dispatches_no_activity_tasks": "closed runs dispatch no tasks",
    "test_57_open_counts_include_timers": "openCounts includes timers; moto counts none",
    "test_59_id_of_an_open_timer_is_in_use": "a refused decision schedules a decision task",
    "test_60_a_canceled_timer_does_not_fire_and_frees_its_id": "the event type is TimerCanceled",
    "test_61_an_unknown_timer_cannot_be_canceled": "CancelTimerFailed schedules a decision task",
    "test_63_external_signal_has_zero_as_initiated_event_id": _ZEROS,
    "test_69_terminated_run_has_its_close_timestamp": "a closed run has its close time",
}
