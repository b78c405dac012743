"""The pages over HTTP: requests, responses, and who may see and do what."""
