"""Plain frozen records that travel between the stages. No behaviour, no I/O."""
