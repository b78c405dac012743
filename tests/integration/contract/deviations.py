"""What moto is known to do otherwise than SWF: tests that it must fail, and the rule it does not follow."""

from __future__ import annotations

from collections.abc import Mapping

_CLOSES = "a close decision fails while the decider has not seen everything; moto asks only for Cancel"
_ZEROS = "a reference to nothing is a literal 0; moto leaves it out"

MOTO_DEVIATES: Mapping[str, str] = {
    "test_01_a_root_has_literal_zeros": _ZEROS,
    "test_02_before_the_first_task_there_was_none": _ZEROS,
    "test_05_a_task_that_timed_out_is_not_the_one_before": "only an answered task counts as the one before",
    "test_08_signals_join_the_task_that_waits": "what happens while a task waits schedules no other",
    "test_09_a_late_answer_is_refused": "a task that timed out is unknown; moto breaks down",
    "test_09_a_time_out_is_recorded_when_it_is_noticed": "events have the time at which they are written",
    "test_10_a_time_out_does_not_schedule_twice": "a time-out leaves alone the task that is scheduled behind",
    "test_11_none_means_never": "NONE is no time-out; moto takes it for a number",
    "test_16_a_missing_attribute_refuses_the_call": "SWF names each member that is missing",
    "test_17_to_continue_as_new_must_be_last_too": "every close decision must be the last",
    "test_19_an_empty_context_is_one": "an empty context is kept; moto drops it",
    "test_30_activity_completes_while_the_decider_runs_and_the_run_stays_open": _CLOSES,
    "test_32_what_came_before_a_failed_close_stays": _CLOSES,
    "test_34_a_timer_of_a_closed_run_does_not_fire": "nothing is written behind the end of a run",
    "test_36_its_event_says_all_that_was_resolved": "the event has every time-out, those of the type too",
    "test_41_a_closed_id_is_free": "only open activities hold their ids",
    "test_48_heartbeats_are_due_from_the_start_on": "the clock of heartbeats runs from the start of the task",
    "test_50_an_activity_that_timed_out_takes_no_answer": "what timed out is unknown; moto breaks down",
    "test_56_a_closed_run_hands_out_nothing": "tasks of a closed run are not handed out",
    "test_57_open_timers_are_counted": "openCounts has the timers; moto counts none",
    "test_59_an_open_timer_id_is_taken": "a refused decision wakes the decider",
    "test_60_a_canceled_timer_does_not_fire_and_frees_its_id": "the event is called TimerCanceled",
    "test_61_an_unknown_timer_cannot_be_canceled": "CancelTimerFailed names the timer and wakes the decider",
    "test_63_a_signal_from_outside_has_a_literal_zero": _ZEROS,
    "test_69_a_terminated_run_says_when": "a closed run has the time of its end",
}
