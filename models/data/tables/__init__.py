"""Tables (CSV and Parquet) as data: from a file to numbers, without PyTorch.

`options` and `columns` import nothing heavy; all other files need NumPy and pyarrow and are
imported where a table is read.
"""
