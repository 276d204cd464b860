"""What is shared with other runtimes and formats: variants of one model, measured side by side."""
