"""Pictures of a result; no statistic is computed here."""
