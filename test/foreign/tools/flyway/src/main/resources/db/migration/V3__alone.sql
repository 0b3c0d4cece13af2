create index concurrently on customers (name);
