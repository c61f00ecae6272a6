"""The control store in SQL: every table and migration; SQLite, PostgreSQL, MariaDB and MySQL."""
