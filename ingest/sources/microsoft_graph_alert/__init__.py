"""Security alerts of Microsoft Graph and Defender XDR: the contract, and the layouts in which they come."""
