"""Goods for which a question is sent when their warranty is about to end."""

from floto import ActivityTask, DeciderSpec, FixedDelay, Signal, Timer

_DAY = 24 * 3600

sell = ActivityTask(name="sell", version="1", id_="sell")
ship = ActivityTask(name="ship", version="1", id_="ship", requires=[sell], retry_strategy=FixedDelay(_DAY, 3))
arrived = Signal(id_="arrived", signal_name="arrived", requires=[ship])
thank = ActivityTask(name="mail", version="1", id_="thank", requires=[arrived])
warranty = Timer(id_="warranty", delay_in_seconds=2 * 365 * _DAY, requires=[arrived])
ask = ActivityTask(name="mail", version="1", id_="ask", requires=[warranty])
invoice = ActivityTask(name="invoice", version="1", id_="invoice", requires=[sell])

spec = DeciderSpec(activity_tasks=[sell, ship, arrived, thank, warranty, ask, invoice])
