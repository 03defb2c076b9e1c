"""What people see: words, colours, figures, the report, the methods paragraph."""
