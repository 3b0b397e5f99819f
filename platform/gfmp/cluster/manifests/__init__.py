"""What other programs need to start a cluster for a job: manifests, launcher files, scripts."""
