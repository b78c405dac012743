"""The side-effect-free core: no clock, no I/O, no randomness, no logging.

    history --fold--> State --decide(spec, state)--> decisions

``swf`` has SWF's events, decisions and the port of a service; ``payloads`` the JSON in their fields;
``state`` the fold of events; ``spec`` the declarations of users; ``decide`` the decisions from both;
``replay`` compares and explains recorded decisions; ``engine`` is SWF itself as a pure function.
"""
