"""A saga: each step of an order names the step that takes it back."""

from __future__ import annotations

from typing import Any

import floto
from floto.specs import ActivityTask, DeciderSpec


def step(name: str, requires: str | tuple[str, ...] = (), undo: str | None = None) -> ActivityTask:
    """Return a task that runs the activity of this name."""
    taken_back = None if undo is None else step(undo)
    return ActivityTask(id_=name, name=name, version="1", requires=requires, undo=taken_back)


spec = DeciderSpec(
    activity_tasks=[
        step("reserve_stock", undo="release_stock"),
        step("charge_card", "reserve_stock", undo="refund_card"),
        step("book_courier", "charge_card", undo="cancel_courier"),
    ],
    on_failure=[step("tell_customer")],
    on_cancel=[step("tell_customer")],
)


@floto.activity(name="reserve_stock", version="1")
def reserve_stock(context: dict[str, Any]) -> str:
    """Reserve the goods of the order."""
    return f"{context['workflow']['items']} items"


@floto.activity(name="release_stock", version="1")
def release_stock(context: dict[str, Any]) -> None:
    """Release what was reserved: the context has the result of the task that this one undoes."""
    print(f"released {context['reserve_stock']}", flush=True)


@floto.activity(name="charge_card", version="1")
def charge_card(context: dict[str, Any]) -> dict[str, Any]:
    """Charge the customer."""
    return {"charge": 17, "amount": 10 * context["workflow"]["items"]}


@floto.activity(name="refund_card", version="1")
def refund_card(context: dict[str, Any]) -> None:
    """Refund the charge."""
    print(
        f"refunded {context['charge_card']['amount']} of charge {context['charge_card']['charge']}",
        flush=True,
    )


@floto.activity(name="book_courier", version="1")
def book_courier(context: dict[str, Any]) -> str:
    """Book a courier, who does not drive everywhere."""
    town = context["workflow"]["town"]
    if town == "Nowhere":
        msg = f"no courier drives to {town}"
        raise ValueError(msg)
    return f"courier to {town}"


@floto.activity(name="cancel_courier", version="1")
def cancel_courier(context: dict[str, Any]) -> None:
    """Cancel the courier."""
    print(f"canceled the {context['book_courier']}", flush=True)


@floto.activity(name="tell_customer", version="1")
def tell_customer(context: dict[str, Any]) -> None:
    """Tell the customer that the order has failed."""
    print(f"the order has failed: {context['failures']}", flush=True)
