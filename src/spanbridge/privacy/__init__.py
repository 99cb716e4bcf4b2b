"""What may leave the process. Every destination reads records that went through here."""
