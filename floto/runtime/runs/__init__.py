"""``floto.run``: one workflow, decided and worked for in one process."""
