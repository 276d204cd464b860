"""What the Trainer hangs on to Lightning's hooks. One idea a file."""
