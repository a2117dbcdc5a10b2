"""What an event costs from Kafka to the tables, beside its peers, and how many a second go through."""
