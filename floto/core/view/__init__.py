"""The view of a run at every moment, as data: what pages, reports and pictures show."""
