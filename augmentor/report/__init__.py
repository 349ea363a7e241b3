"""What a person looks at: contact sheets, before/after pictures, one HTML page."""
