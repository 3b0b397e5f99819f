"""What learns a task from labels: fine-tuning, frozen probes and the baselines beside them."""
