"""What every stage may lean on: the ledger, the guard, fork handling."""
