"""Its presence puts this folder on the import path, for helpers shared by the test folders."""
