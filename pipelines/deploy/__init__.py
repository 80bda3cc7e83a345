"""Deploys the pipeline to engines that run it as a job: `parley deploy`."""
