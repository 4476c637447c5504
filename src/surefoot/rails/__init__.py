"""Safety rails, as pure decisions: policy (may this call be made), ledger (does it fit the budget),
redaction (what may be written and shown). The gateway and the ask act on what these say."""
