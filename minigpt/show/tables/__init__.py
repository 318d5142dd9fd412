"""What the commands print, a file for each: tables for people, and, where a command can, the same as JSON."""
