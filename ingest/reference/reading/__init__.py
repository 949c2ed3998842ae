"""What formats share: records of files, fields to columns, texts to values."""
