"""A real Apache Kafka on this machine, from the jars that its project publishes (Java and Maven are needed once)."""
