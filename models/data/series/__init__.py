"""Series as data: from a .ts file, or a table with a column of ids, to numbers; without PyTorch."""
