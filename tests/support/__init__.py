"""What tests of several rooms share: servers, waiting, small jobs."""
