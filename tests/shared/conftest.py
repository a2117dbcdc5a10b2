from tests.laptop.kafka.conftest import kafka  # noqa: F401
