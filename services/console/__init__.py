"""The pages people look at and review on; what they ask for goes to workloads and human_review."""
