"""What runs by itself: schedules, sensors and the jobs they request. All are off until turned on."""
