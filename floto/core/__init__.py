"""The side-effect-free core: no clock, no I/O, no randomness, no logging.

    history --fold--> State --decide(spec, state)--> decisions

``events`` and ``decisions`` are SWF's own; ``fold`` says what each event means; ``specs``
and ``retry`` are what users declare; ``decide`` maps the two to what happens next;
``service`` is SWF itself as a pure function; ``ports`` is what the runtime asks of a
service.
"""
