"""Reports on a stretch of a series: facts once, rendered as HTML, Markdown, XLSX or PDF, in Korean or English."""
