"""Risk detections of Microsoft Entra ID: the contract, and the layouts in which they come."""
