"""The table of a job's states."""

from __future__ import annotations

from modelway.domain.jobs import TRANSITIONS, JobState


def test_every_state_has_its_row_and_leads_to_none_but_others() -> None:
    assert set(TRANSITIONS) == set(JobState)
    for state, following in TRANSITIONS.items():
        assert state not in following
        assert following <= set(JobState)


def test_what_is_answered_or_expired_stays_so() -> None:
    for state in (JobState.SUCCEEDED, JobState.EXPIRED):
        assert state.is_done
        assert not TRANSITIONS[state]


def test_only_a_lease_leads_to_an_answer() -> None:
    before = {one for one, following in TRANSITIONS.items() if JobState.SUCCEEDED in following}
    assert before == {JobState.LEASED}
    assert not JobState.LEASED.is_done
    assert {one for one, following in TRANSITIONS.items() if JobState.LEASED in following} == {
        JobState.QUEUED
    }
